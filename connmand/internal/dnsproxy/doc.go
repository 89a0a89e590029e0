// Package dnsproxy answers the machine's DNS questions: from its cache, or by
// asking the name servers of the services.
package dnsproxy
