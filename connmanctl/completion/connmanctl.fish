# Completion of connmanctl for fish. The program itself knows what may follow.

complete -c connmanctl -f
complete -c connmanctl -n 'test (commandline -opc)[-1] = --passphrase-file' -F
complete -c connmanctl -n 'test "$(commandline -opc)[2..-1]" = "vpn import"' -F
complete -c connmanctl -n 'test (commandline -opc)[-1] != --passphrase-file -a "$(commandline -opc)[2..-1]" != "vpn import"' \
	-a '(connmanctl --complete (commandline -opc)[2..-1] "$(commandline -ct)" 2>/dev/null)'
