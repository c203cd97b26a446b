"""From a finished run to people: exports, card, Hub, report."""
