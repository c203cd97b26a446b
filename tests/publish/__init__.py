"""Publishing: exports, card, Hub."""
