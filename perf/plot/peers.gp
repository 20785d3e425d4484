# SPDX-License-Identifier: BSD-3-Clause
# A block for each peer. Columns: number of the test, median, lowest, highest, name of the test.
set ylabel ytitle_
set yrange [0:*]
width = 0.8 / n_blocks_
set boxwidth width
set xtics rotate by -20
place(x, i) = x + (i - (n_blocks_ - 1) / 2.0) * width
plot for [i = 0:n_blocks_ - 1] data_ index i using (place($1, i)):2 with boxes lt i + 1 title columnheader(1), \
     for [i = 0:n_blocks_ - 1] data_ index i using (place($1, i)):3:(0):($4 - $3) with vectors nohead lc rgb "#333333" lw 2 notitle, \
     data_ index 0 using 1:(0):xtic(5) with points ps 0 notitle
