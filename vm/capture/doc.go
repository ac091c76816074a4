// Package capture reads and writes capture files.
package capture
