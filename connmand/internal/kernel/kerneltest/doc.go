// Package kerneltest holds the suite that every kernel.Kernel passes, and what
// tests need to run in a network namespace of their own.
package kerneltest
