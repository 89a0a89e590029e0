// Package supplicant holds the bindings of wpa_supplicant's fi.w1.wpa_supplicant1,
// generated from api/fi.w1.wpa_supplicant1*.xml: names, keys and calls, and the
// server side for tests. Calls and servers run on the loop; clients block and are
// for other goroutines.
package supplicant

//go:generate sh -c "go run ../../cmd/dbusgen -package supplicant -out supplicant.go ../../../api/fi.w1.wpa_supplicant1*.xml"
