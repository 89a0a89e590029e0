package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is a process's memory in megabytes of 10^6 bytes.
type usage struct{ rss, anonymous float64 }

// memory reads proc(5), smaps_rollup.
func memory(pid int) (usage, error) {
	fields, err := numbers(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	const kB = 1024.0 / 1e6
	return usage{rss: float64(fields["Rss"]) * kB, anonymous: float64(fields["Anonymous"]) * kB}, err
}

// wakeUps counts how often the process's threads were put on a processor.
func wakeUps(pid int) (int, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil {
		return 0, err
	}
	total := 0
	for _, thread := range threads {
		fields, err := numbers(thread)
		if err != nil {
			return 0, err
		}
		total += fields["voluntary_ctxt_switches"] + fields["nonvoluntary_ctxt_switches"]
	}
	return total, nil
}

// numbers reads the lines "key: number …" of a file.
func numbers(path string) (map[string]int, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	fields := map[string]int{}
	for line := range strings.Lines(string(data)) {
		key, rest, _ := strings.Cut(line, ":")
		if words := strings.Fields(rest); len(words) > 0 {
			if n, err := strconv.Atoi(words[0]); err == nil {
				fields[key] = n
			}
		}
	}
	return fields, nil
}

// cpuTime is the user and system time of a process: proc(5), stat, fields 14
// and 15, in ticks of 10 ms.
func cpuTime(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field, the name in parentheses, may hold spaces.
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	const user, system, tick = 14 - 3, 15 - 3, 10 * time.Millisecond
	if len(fields) <= system {
		return 0, fmt.Errorf("cannot read the CPU time of process %d", pid)
	}
	u, errU := strconv.Atoi(fields[user])
	s, errS := strconv.Atoi(fields[system])
	if errU != nil || errS != nil {
		return 0, fmt.Errorf("cannot read the CPU time of process %d", pid)
	}
	return time.Duration(u+s) * tick, nil
}
