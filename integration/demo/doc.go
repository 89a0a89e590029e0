// Demo shows a machine coming online behind a home router, in a world of its
// own: network, mounts and, for a user who isn't root, user namespaces. At the
// end it hands over to connmanctl; without a terminal it prints what
// connmanctl has to say. The machine it runs on is not touched.
package main
