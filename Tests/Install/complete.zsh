#!/bin/zsh -f
# complete.zsh FOLDER TEXT: what an interactive zsh shows when the tab key is pressed after TEXT, with the completions in
# FOLDER.
zmodload zsh/zpty
export ZDOTDIR=$(mktemp -d)
trap 'rm -rf $ZDOTDIR' EXIT
print -r "PROMPT=; fpath=(${(q)1} \$fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=0; echo READY" >$ZDOTDIR/.zshrc
zpty shell zsh -d -i
shown=''
# take SECONDS [TEXT]: what it has shown by then, or until TEXT is in it.
take() {
    local line end=$((SECONDS + $1))
    while ((SECONDS < end)) && [[ -z ${2:-} || $shown != *$2* ]]; do
        if zpty -r -t shell line; then shown+=$line; else sleep 0.1; fi
    done
}
take 10 READY
zpty -w -n shell "$2"$'\t'
# There is no telling when the list is complete.
take 3
print -r -- $shown
zpty -d shell
