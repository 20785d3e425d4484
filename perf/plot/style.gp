# SPDX-License-Identifier: BSD-3-Clause
# Of all pictures. Variables come from plot.py and end in "_".
set title title_
set grid ytics lc rgb "#dddddd" lt 1
set border 3 lc rgb "#666666"
set xtics nomirror
set ytics nomirror
set key outside right top vertical width -2 samplen 2
set style fill solid 0.85 noborder
set linetype 1 lc rgb "#0b6e99" lw 2 pt 7 ps 0.6
set linetype 2 lc rgb "#d1495b" lw 2 pt 5 ps 0.6
set linetype 3 lc rgb "#edae49" lw 2 pt 9 ps 0.7
set linetype 4 lc rgb "#4c9f38" lw 2 pt 13 ps 0.7
set linetype 5 lc rgb "#7a5195" lw 2 pt 11 ps 0.7
set linetype 6 lc rgb "#5fb7c9" lw 2 pt 4 ps 0.6
set linetype 7 lc rgb "#8c6d46" lw 2 pt 6 ps 0.6
set linetype 8 lc rgb "#888888" lw 2 pt 8 ps 0.6
set linetype 9 lc rgb "#333a56" lw 2 pt 10 ps 0.6
set linetype cycle 9
