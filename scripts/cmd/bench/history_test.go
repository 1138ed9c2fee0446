package main

import (
	"strconv"
	"testing"

	"tlim/store"
)

// A page at a depth begins behind the row that is so deep: its cursor is that row, its first row the next older one.
func TestPlaces(t *testing.T) {
	const deep, rows = 500, 500 + historySpread + historyPage + 1
	h := &history{places: placesAt(deep)}
	for depth := rows - 1; depth >= 0; depth-- {
		h.note(depth, store.Message{MsgID: "id" + strconv.Itoa(depth), Time: strconv.Itoa(rows - depth)})
	}
	for _, from := range []int{shallow, deep} {
		t.Run(strconv.Itoa(from), func(t *testing.T) {
			if len(h.places[from]) != historySpread {
				t.Fatalf("%d places at %d, want %d", len(h.places[from]), from, historySpread)
			}
			for i, at := range h.places[from] {
				depth := from + i
				want := place{depth, strconv.Itoa(rows - depth), "id" + strconv.Itoa(depth), "id" + strconv.Itoa(depth+1)}
				if at != want {
					t.Errorf("place %d of %d is %+v, want %+v", i, from, at, want)
				}
			}
		})
	}
	if last := deep + historySpread - 1; last+historyPage >= rows {
		t.Errorf("the last page begins at depth %d, want it to end before the oldest message, at %d", last, rows-1)
	}
}
