#!/bin/busybox sh
# Process 1 of the guest: finds the root file system and goes there.
set -e
own=/bin/busybox
$own mount -t proc proc /proc
$own mount -t sysfs sysfs /sys
$own mount -t devtmpfs devtmpfs /dev
while read -r module; do
	$own insmod "/modules/$module"
done </modules/order
options=trans=virtio,version=9p2000.L,msize=512000
# What lies on the host does not change under us, as far as we look.
$own mount -t 9p -o "$options,cache=loose,ro" root /lower
$own mount -t tmpfs -o mode=755 tmpfs /layer
$own mkdir /layer/upper /layer/work
$own mount -t overlay -o lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work overlay /root
for dir in proc sys dev; do
	$own mount --move "/$dir" "/root/$dir"
done
$own mount -t tmpfs -o mode=755 tmpfs /root/run
$own mkdir /root/vm
$own mount -t tmpfs -o mode=755 tmpfs /root/vm
$own mkdir /root/vm/control /root/vm/share
$own mkdir -m 1777 /root/vm/tmp
$own mount -t 9p -o "$options" control /root/vm/control
$own mount -t 9p -o "$options" share /root/vm/share 2>/dev/null || true
# The kernel put its own parameters that it doesn't know into our environment.
exec $own switch_root /root "$busybox" sh /vm/control/start
