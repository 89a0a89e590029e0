# Process 1 of the guest, in its root: $busybox and $kernel are paths there.
# It loads modules, runs the command and switches the machine off.
"$busybox" mkdir -p /dev/pts /dev/shm /lib/modules
"$busybox" mount -t devpts devpts /dev/pts
"$busybox" mount -t tmpfs tmpfs /dev/shm
"$busybox" mount --bind "$kernel/lib/modules" /lib/modules
# The kernel loads what it misses by itself, through a program of that name.
"$busybox" mkdir /vm/bin
"$busybox" ln -s "$busybox" /vm/bin/modprobe
echo /vm/bin/modprobe >/proc/sys/kernel/modprobe
"$busybox" ifconfig lo up
status=0
while read -r module; do
	# shellcheck disable=SC2086 # a name and parameters
	/vm/bin/modprobe $module || status=125
done </vm/control/modules
if [ $status = 0 ]; then
	"$busybox" setsid "$busybox" sh /vm/control/command </dev/null >/dev/vport0p1 2>&1
	status=$?
fi
echo $status >/vm/control/status
"$busybox" sync
"$busybox" poweroff -f
