// The peer for taking repeats in: the least that a handler of alerts can do. It answers, writes a
// line to standard error, and knows nothing: no parsing, no memory, no journal.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/hooks", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "Hello from a handler called via Prometheus alert\n")
		log.Println("handler called via prometheus alert")
	})
	log.Fatalln(http.ListenAndServe(os.Args[1], nil))
}
