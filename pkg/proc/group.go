package proc

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	groupGrace = time.Second     // until what is left is killed
	groupLimit = 5 * time.Second // until it is given up: the kernel does not let it go
	groupLook  = 20 * time.Millisecond
)

// endGroup ends what is left of the process group of leader, which is a zombie.
// First it waits for a while, since programs end one after the other.
func endGroup(leader int) {
	began, signal := time.Now(), unix.SIGTERM
	for {
		members := group(leader)
		since := time.Since(began)
		if len(members) == 0 || since > groupLimit {
			return
		}
		for _, pid := range members {
			sendTo(pid, leader, signal)
		}
		if signal = 0; since > groupGrace {
			signal = unix.SIGKILL
		}
		time.Sleep(groupLook)
	}
}

// group lists the processes of a group but its leader.
func group(leader int) []int {
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
		if pgid, err := unix.Getpgid(pid); err == nil && pgid == leader {
			pids = append(pids, pid)
		}
	}
	return pids
}

// sendTo signals pid if it still is of the group: pid may be another process
// by now, the descriptor can't.
func sendTo(pid, leader int, signal unix.Signal) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if pgid, err := unix.Getpgid(pid); err == nil && pgid == leader {
		_ = unix.PidfdSendSignal(fd, signal, nil, 0)
	}
}
