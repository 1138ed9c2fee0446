package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// oldestSystemd is that of CentOS 7.
const oldestSystemd = 219

// directives are the options that the unit may use, by the version of systemd that introduced them (its NEWS); what came before its manual tells versions is 0.
// What is younger than the oldest version is ignored there, and tlim works without it.
var directives = map[string]int{
	"Description": 0, "Documentation": 0, "After": 0, "Wants": 0, "WantedBy": 0,
	"Type": 0, "NotifyAccess": 0, "ExecStart": 0, "ExecReload": 0, "KillSignal": 0, "KillMode": 0, "TimeoutStartSec": 0, "TimeoutStopSec": 0, "WatchdogSec": 0,
	"Restart": 0, "RestartSec": 0, "RestartPreventExitStatus": 189, "User": 0, "Group": 0, "UMask": 0, "LimitNOFILE": 0, "CapabilityBoundingSet": 0,
	"PrivateTmp": 0, "NoNewPrivileges": 187, "SystemCallFilter": 187, "SystemCallArchitectures": 209, "SystemCallErrorNumber": 209, "PrivateDevices": 209,
	"RestrictAddressFamilies": 211, "ProtectSystem": 214, "ProtectHome": 214,
	"AmbientCapabilities": 229, "ReadWritePaths": 231, "MemoryDenyWriteExecute": 231, "RestrictRealtime": 231, "ProtectControlGroups": 232, "ProtectKernelModules": 232,
	"ProtectKernelTunables": 232, "RemoveIPC": 232, "RestrictNamespaces": 233, "StateDirectory": 235, "StateDirectoryMode": 235, "LockPersonality": 235,
	"ProtectHostname": 242, "RestrictSUIDSGID": 242, "ProtectKernelLogs": 244, "ProtectClock": 245, "ProtectProc": 247,
}

var directive = regexp.MustCompile(`(?m)^([A-Za-z]+)=`)

// unitFaults says which options of a unit have no version here, and which younger ones a document's table of versions lacks.
func unitFaults(unit, document string) (faults []string) {
	rows := map[int]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| (\d+) \|(.*)\|$`).FindAllStringSubmatch(document, -1) {
		version, _ := strconv.Atoi(row[1]) // digits
		rows[version] = row[2]
	}
	used := map[int][]string{}
	for _, m := range directive.FindAllStringSubmatch(unit, -1) {
		since, known := directives[m[1]]
		if !known {
			faults = append(faults, m[1]+" has no version")
		} else if since > oldestSystemd && !slices.Contains(used[since], m[1]) {
			used[since] = append(used[since], m[1])
		}
	}
	for version, names := range used {
		for _, name := range names {
			if !strings.Contains(rows[version], "`"+name+"`") {
				faults = append(faults, fmt.Sprintf("%s of systemd %d has no place in its row", name, version))
			}
		}
	}
	for version, row := range rows {
		for _, m := range regexp.MustCompile("`([A-Za-z]+)`").FindAllStringSubmatch(row, -1) {
			if !slices.Contains(used[version], m[1]) {
				faults = append(faults, fmt.Sprintf("%s stands in the row of systemd %d and not in the unit", m[1], version))
			}
		}
	}
	slices.Sort(faults)
	return faults
}

// Each option of the unit is one whose age is known, and deploy/README.md tells which an old systemd ignores.
func TestUnitTellsTheAgeOfItsOptions(t *testing.T) {
	unit := readText(t, "../../deploy/tlim.service")
	_, chapter, found := strings.Cut(readDocument(t, "deploy/README.md"), "| since systemd | options of the unit |")
	table, _, _ := strings.Cut(chapter, "\n\n")
	if !found {
		t.Fatal("deploy/README.md has no table of the options of the unit, want one")
	}
	for _, fault := range unitFaults(unit, table) {
		t.Errorf("got %s, want the unit and its table to agree", fault)
	}
	if n := len(directive.FindAllString(unit, -1)); n < 40 {
		t.Errorf("%d options were read, want those of the whole unit", n)
	}
	if got, want := unitFaults("Type=notify\nNothing=yes\nRemoveIPC=yes\nProtectClock=yes\n", "\n| 232 | `RemoveIPC`, `LockPersonality` |\n"),
		[]string{"LockPersonality stands in the row of systemd 232 and not in the unit", "Nothing has no version", "ProtectClock of systemd 245 has no place in its row"}; !slices.Equal(got, want) {
		t.Errorf("of a made-up unit: got %q, want %q", got, want)
	}
}
