package proc

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	sessionGrace = time.Second     // until what is left is killed
	sessionLimit = 5 * time.Second // until it is given up: the kernel does not let it go
	sessionLook  = 20 * time.Millisecond
)

// endSession ends what is left of the session of leader, which is a zombie or
// has become one. First it waits for a while, since programs end one after the
// other.
func endSession(leader int) {
	began, signal := time.Now(), unix.SIGTERM
	for {
		members := session(leader)
		since := time.Since(began)
		if len(members) == 0 || since > sessionLimit {
			return
		}
		for _, pid := range members {
			sendTo(pid, leader, signal)
		}
		if signal = 0; since > sessionGrace {
			signal = unix.SIGKILL
		}
		time.Sleep(sessionLook)
	}
}

// session lists the processes of a session but its leader.
func session(leader int) []int {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close()
	names, _ := proc.Readdirnames(-1)
	var pids []int
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == leader {
			continue
		}
		if sid, err := unix.Getsid(pid); err == nil && sid == leader {
			pids = append(pids, pid)
		}
	}
	return pids
}

// sendTo signals pid if it still is of the session: pid may be another process
// by now, the descriptor can't.
func sendTo(pid, leader int, signal unix.Signal) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if sid, err := unix.Getsid(pid); err == nil && sid == leader {
		_ = unix.PidfdSendSignal(fd, signal, nil, 0)
	}
}
