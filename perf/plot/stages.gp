# SPDX-License-Identifier: BSD-3-Clause
# One block, of a row for each bar: its name, then the height of each part; the names of the parts are in the first row.
set ylabel "cycles"
set yrange [0:*]
set style data histograms
set style histogram rowstacked
set boxwidth 0.6
set xtics rotate by -20
plot for [i = 2:n_parts_ + 1] data_ using i:xtic(1) lt i - 1 title columnheader(i)
