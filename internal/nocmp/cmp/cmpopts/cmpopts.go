// Package cmpopts is empty; other modules' tests name it, so go mod tidy looks for it.
package cmpopts
