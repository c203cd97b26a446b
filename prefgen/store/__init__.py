"""Tables and files of a run; the only room that spells a path."""
