// Package busapi shows the domain on D-Bus: the objects of net.connman.vpn with
// their methods, properties and signals. It translates between core and the
// generated bindings and decides nothing itself.
//
// It runs on the loop. At the end of a turn it sends what core says has
// changed, before the replies of the turn's calls.
package busapi
