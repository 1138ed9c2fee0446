package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestReport(t *testing.T) {
	r := newReport(t.TempDir(), time.Now(), plan{rounds: 3, round: time.Second})
	bare, ours := series(1000, 3000, 2000), series(1900, 900, 3000)
	bare.Part, bare.Mode, bare.Unit = "group", "bare", "deliveries/s"
	ours.Part, ours.Mode, ours.Unit = "group", "ours", "deliveries/s"
	r.add(bare, bare)
	r.add(ours, bare)
	r.goal(ours, atLeast("0.95 of bare", ours.ratio(bare), 0.95))
	r.goal(ours, atMost("CPU", ours.perItem(cpuOf), 10))
	memory := &Series{Part: "cpu", Mode: "memory", Unit: "MiB", Samples: []Sample{{Value: 30, All: []float64{20, 31, 30}}}}
	r.add(memory)

	var out bytes.Buffer
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(out.String()) {
		rows = append(rows, strings.Fields(line))
	}
	rows = rows[3:] // what was measured, an empty line, the head
	for i, want := range []string{
		"group bare 2,000 1,000 - 3,000 deliveries/s 1.00",
		"ours 1,900 900.0 - 3,000 deliveries/s 1.50",
		"memory 30.0 20.0 - 31.0 MiB -",
	} {
		if got := strings.Join(rows[i], " "); !strings.Contains(got, want) {
			t.Errorf("row %d: got %q, want %q in it", i, got, want)
		}
	}
	if !strings.Contains(out.String(), "0.95 of bare: met (1.50); CPU: MISSED (19,333)") {
		t.Errorf("got goals\n%s\nwant \"0.95 of bare: met (1.50); CPU: MISSED (19,333)\" in them", out.String())
	}

	path := filepath.Join(t.TempDir(), "result.json")
	if err := r.write(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Lines) != 3 || back.Lines[1].Samples[2].Value != 3000 || !back.Lines[1].Goals[0].Met || back.Lines[1].Goals[1].Met {
		t.Errorf("read back: %s, want 3 lines, the value 3000, one goal met and one not", text)
	}
}
