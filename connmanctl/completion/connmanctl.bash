# Completion of connmanctl for bash. The program itself knows what may follow.

_connmanctl() {
	if [ "${COMP_WORDS[COMP_CWORD - 1]}" = --passphrase-file ] || [ "${COMP_WORDS[*]:1:COMP_CWORD - 1}" = "vpn import" ]; then
		compopt -o default
		COMPREPLY=()
		return
	fi
	mapfile -t COMPREPLY < <(connmanctl --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}

complete -F _connmanctl connmanctl
