"""Tables in, findings out: who agrees, what the judge's habits are, and how sure one can be of it."""
