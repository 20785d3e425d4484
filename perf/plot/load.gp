# SPDX-License-Identifier: BSD-3-Clause
# Columns: millions a second, microseconds.
set xlabel "M frames or requests/s offered"
set ylabel "us"
set xrange [0:*]
set logscale y
plot for [i = 0:n_blocks_ - 1] data_ index i using 1:2 with linespoints lt i + 1 title columnheader(1)
