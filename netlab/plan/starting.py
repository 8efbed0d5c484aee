"""The words of a plan for how a process becomes ready, and when it starts again."""

from netlab.topology.model import COMMAND, FILE, HTTP, LINE, PORT, Ready, Restart

_WORDS = {
    LINE: "it prints {}",
    PORT: "somebody listens at port {}",
    FILE: "there is {}",
    COMMAND: "{} succeeds",
    HTTP: "{} answers",
}


def ready_words(ready: Ready | None) -> list[str]:
    """Return what shows that a process is ready."""
    if not ready:
        return []
    when = _WORDS[ready.kind].format(ready.what) if ready.kind else "it says READY"
    within = f" within {ready.within:g} s" if ready.within else ""
    return [f"ready when {when}{within}".replace("\n", " ")]


def restart_words(restart: Restart) -> list[str]:
    """Return when a process starts again."""
    if restart.when == "no":
        return []
    when = "after each end" if restart.when == "always" else "after a failure"
    return [f"starts again {when}, {restart.at_most} times at most"]
