-- From here on, the first change of each page puts the whole page into the WAL.
CHECKPOINT
