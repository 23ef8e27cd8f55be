# Where things are: as `ace-as init trial` has made them, seen from the folder trial. Read by sensor.sh and dashboard.sh.

token_endpoint=${TOKEN_ENDPOINT:-https://localhost:8443/token}
broker=${BROKER:-localhost}
port=${PORT:-8883}
audience=broker.example

# Options that mosquitto's clients read from a file here, so that the password is not on the command line for all to see.
XDG_CONFIG_HOME=$(mktemp -d)
export XDG_CONFIG_HOME
# Not to be disturbed: who ends a whole group of processes sends a signal to each, and may do so twice.
trap 'trap "" HUP INT TERM; rm -r "$XDG_CONFIG_HOME"' EXIT
trap 'exit 1' HUP INT TERM

# Gets a token for this client, with all that it may do, unless there is one that lives for ten seconds more.
# Sets $ends: when the token does, in seconds since 1970.
get_token() {
    if ! [ -s "$1.credentials" ] || [ "$(end_of "$1")" -lt "$(($(date +%s) + 10))" ]; then
        ace-mqtt token --as "$token_endpoint" --as-ca ca-cert.pem --client-id "$1" --client-secret-file "$1.secret" \
            --audience "$audience" --out "$1.credentials"
    fi
    ends=$(end_of "$1")
}

end_of() {
    sed -n 's/.*"expires_at": *\([0-9]*\).*/\1/p' "$1.credentials"
}

# Writes what the program $2 is to connect with as the client $1: user name and password, which are good for one connection.
write_options() {
    password=$(ace-mqtt password -i "$1" --credentials "$1.credentials")
    # mosquitto's clients cut longer lines in two.
    if [ "${#password}" -gt 1000 ]; then
        echo "this token is too long for a file of options: ask for a smaller scope" >&2
        exit 1
    fi
    printf '%s\n' "-V 5" "-h $broker" "-p $port" "--cafile ca-cert.pem" "-i $1" "-u ace" "-P $password" > "$XDG_CONFIG_HOME/$2"
}
