// Package dns tests how the whole daemon has names resolved: real programs and
// resolvers ask on a machine that is connected to one or two networks with real
// name servers, and hostile ones, in network namespaces. There is nothing in it
// but tests.
package dns
