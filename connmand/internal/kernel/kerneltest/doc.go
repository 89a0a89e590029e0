// Package kerneltest holds the suite that every kernel.Kernel passes.
package kerneltest
