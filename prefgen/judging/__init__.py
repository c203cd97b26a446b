"""From a persona and an item to what is asked, and from what was said to what it means."""
