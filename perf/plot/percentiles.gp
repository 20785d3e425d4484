# SPDX-License-Identifier: BSD-3-Clause
# Columns: 1 / (1 - p), microseconds.
set xlabel "percentile"
set ylabel "us"
set logscale xy
set xtics ("0" 1, "50" 2, "90" 10, "99" 100, "99.9" 1000, "99.99" 10000, "99.999" 100000, "99.9999" 1000000)
plot for [i = 0:n_blocks_ - 1] data_ index i using 1:2 with lines lt i + 1 title columnheader(1)
