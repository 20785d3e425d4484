# SPDX-License-Identifier: BSD-3-Clause
# Columns: x, median, lowest, highest. The last n_plain_ blocks are curves without points.
set xlabel xtitle_
set ylabel ytitle_
set yrange [0:*]
if (is_log_) {
	set logscale x
	set format x "%.0s%c"
}
if (x_step_ > 0) set xtics x_step_
n_points = n_blocks_ - n_plain_
if (n_plain_ > 0) {
	set yrange [*:*]
	set logscale y
	plot for [i = 0:n_points - 1] data_ index i using 1:2:3:4 with yerrorlines lt i + 1 title columnheader(1), \
	     for [i = n_points:n_blocks_ - 1] data_ index i using 1:2 with lines dt 2 lc rgb "#999999" lw 1 title columnheader(1)
} else {
	plot for [i = 0:n_blocks_ - 1] data_ index i using 1:2:3:4 with yerrorlines lt i + 1 title columnheader(1)
}
