#!/bin/sh
# One line per word: the word in lower case, a tab, 1.
LC_ALL=C tr -cs 'A-Za-z' '\n' | LC_ALL=C tr 'A-Z' 'a-z' | awk 'NF { print $0 "\t1" }'
