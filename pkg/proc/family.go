package proc

import (
	"bytes"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Family reports whether the process pid is the child, descends from it or is
// of its group. It reads files, so the loop must not wait for it. A process
// that has ended belongs to nobody.
//
// That a process is of the family proves little by itself: numbers are used
// again.
func Family(pid, child int) bool {
	const deepest = 32
	if pid <= 1 || child <= 1 {
		return false
	}
	if pgid, err := unix.Getpgid(pid); err == nil && pgid == child {
		return true
	}
	for range deepest {
		if pid == child {
			return true
		}
		if pid = parent(pid); pid <= 1 {
			break
		}
	}
	return false
}

// parent returns the parent of a process, 0 if it can't be told: proc(5),
// /proc/PID/stat.
func parent(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The program's name, in parentheses, may hold anything.
	var state byte
	var ppid int
	if _, err := fmt.Sscanf(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " %c %d", &state, &ppid); err != nil {
		return 0
	}
	return ppid
}
