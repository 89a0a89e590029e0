# Completion of connmanctl for fish. The program itself knows what may follow.

function __connmanctl_wants_file
	set -l words (commandline -opc)
	test "$words[-1]" = --passphrase-file; or test "$words[2..-1]" = "vpn import"
end

complete -c connmanctl -f
complete -c connmanctl -n __connmanctl_wants_file -F
complete -c connmanctl -n 'not __connmanctl_wants_file' \
	-a '(connmanctl --complete (commandline -opc)[2..-1] "$(commandline -ct)" 2>/dev/null)'
