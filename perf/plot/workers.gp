# SPDX-License-Identifier: BSD-3-Clause
# Columns: workers, median, lowest, highest. The last n_plain_ blocks are curves without points.
set xlabel "workers, each on a CPU of its own"
set ylabel "M packets or requests/s"
set yrange [0:*]
set xtics 1
n_points = n_blocks_ - n_plain_
plot for [i = 0:n_points - 1] data_ index i using 1:2:3:4 with yerrorlines lt i + 1 title columnheader(1), \
     for [i = n_points:n_blocks_ - 1] data_ index i using 1:2 with lines dt 2 lc rgb "#999999" lw 1 title (i == n_points ? "as moved frames grow" : "")
