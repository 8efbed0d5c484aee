"""In the supervisor: the answer to a request that is not done."""


class Refused(Exception):  # noqa: N818 - it is an answer: nothing has gone wrong
    """Why a request is not done, in words for the answer."""
