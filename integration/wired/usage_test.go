//go:build netns

package wired

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// watch lets time pass because the test is about what does not happen
// meanwhile, or about the moment at which it strikes. It is not for waiting.
func watch(d time.Duration) { time.Sleep(d) }

// spent is what a process uses of the machine.
type spent struct {
	rss, anonymous float64 // megabytes of 10^6 bytes
	peak           float64 // the most that rss has been
	cpu            time.Duration
	fds, threads   int
	wakeUps        int
}

// usage reads proc(5).
func usage(t *testing.T, pid int) spent {
	t.Helper()
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	memory := numbers(t, filepath.Join(dir, "smaps_rollup"))
	const kB = 1024.0 / 1e6
	u := spent{rss: float64(memory["Rss"]) * kB, anonymous: float64(memory["Anonymous"]) * kB}
	u.peak = float64(numbers(t, filepath.Join(dir, "status"))["VmHWM"]) * kB
	u.cpu = cpuTime(t, dir)
	fds, err := os.ReadDir(filepath.Join(dir, "fd"))
	must(t, err)
	u.fds = len(fds)
	tasks, err := filepath.Glob(filepath.Join(dir, "task/*/status"))
	must(t, err)
	for _, task := range tasks {
		u.threads++
		u.wakeUps += numbers(t, task)["voluntary_ctxt_switches"]
	}
	return u
}

// numbers reads the lines "key: number …" of a file.
func numbers(t *testing.T, path string) map[string]int {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	fields := map[string]int{}
	for line := range strings.Lines(string(data)) {
		key, rest, _ := strings.Cut(line, ":")
		if words := strings.Fields(rest); len(words) > 0 {
			if n, err := strconv.Atoi(words[0]); err == nil {
				fields[key] = n
			}
		}
	}
	return fields
}

// cpuTime is the user and system time of a process: fields 14 and 15 of its
// stat, in ticks of 10 ms. The second field, in parentheses, may hold spaces.
func cpuTime(t *testing.T, dir string) time.Duration {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "stat"))
	must(t, err)
	_, rest, _ := strings.Cut(string(data), ") ")
	var user, system int
	fields := strings.Fields(rest)
	_, err = fmt.Sscan(fields[11]+" "+fields[12], &user, &system)
	must(t, err)
	return time.Duration(user+system) * 10 * time.Millisecond
}
