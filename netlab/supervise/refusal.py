"""In the supervisor: why a request is not done."""


class Refused(Exception):  # noqa: N818 - it is an answer: nothing has gone wrong
    """Why a request is not done, in words for the answer."""
