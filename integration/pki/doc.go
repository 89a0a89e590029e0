// Package pki makes certificates for servers and clients in tests and
// measurements. They hold for a day and are nobody's secret: the files can be read
// by everyone, so that programs which give up root can.
//
// There are no goroutines.
package pki
