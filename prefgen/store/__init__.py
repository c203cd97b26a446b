"""Tables and files of a run, and the rows that users bring; the only room that spells a path."""
