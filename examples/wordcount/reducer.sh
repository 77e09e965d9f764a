#!/bin/sh
# The lines come sorted by word: adds up each run of equal words.
awk -F '\t' '
  $1 != word { if (word != "") print word "\t" count; word = $1; count = 0 }
  { count += $2 }
  END { if (word != "") print word "\t" count }
'
