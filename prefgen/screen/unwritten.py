"""What is raised when nobody can be told anything; its own file, so that how a command ends costs no import of the screen."""


class Unwritten(Exception):  # noqa: N818 - raised from the OSError that says why
    """stdout or stderr cannot be written. No OSError, which whoever reads files would take for one of theirs."""
