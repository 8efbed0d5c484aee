"""A lab that stands, as all who deal with it get it: what it is meant to be, and where its nodes live."""

from typing import TYPE_CHECKING

from netlab.record import store
from netlab.record.model import LabRecord
from netlab.runtime import choice

if TYPE_CHECKING:
    from netlab.runtime.base import Runtime


class Standing:
    """A lab's record, and its runtime, which is made once."""

    def __init__(self, record: LabRecord, runtime: "Runtime") -> None:
        self.record = record
        self.runtime = runtime

    @classmethod
    def of(cls, record: LabRecord) -> "Standing":
        """Return the lab that has this record."""
        return cls(record, choice.of(record))

    @classmethod
    def read(cls, lab: str) -> "Standing":
        """Return a lab by its name; raises NetlabError as `store.read` does."""
        return cls.of(store.read(lab))
