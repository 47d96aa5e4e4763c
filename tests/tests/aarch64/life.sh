# The life of the package on a whole system for aarch64, from installation to purge. A file is the source. Each line is shown on
# the console, where the test reads along.
exec </dev/null >/dev/ttyAMA0 2>&1
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 SYSTEMD_COLORS=0
trap 'echo "life: ended with $?"; sync; systemctl poweroff --force --force' EXIT
set -eux
uname -m
before=$(cat /etc/nsswitch.conf /etc/pam.d/sshd /etc/ssh/sshd_config | sha256sum)
dpkg -i /root/nss-iam.deb

ssh-keygen -q -t ed25519 -N '' -f /root/id
cat >/srv/users.json <<EOF
{"version": 1, "accounts": [{
  "groups": [{"id": "g-ops", "name": "Ops", "members": ["u-ana"]}],
  "users": [{"id": "u-ana", "name": "ana", "keys": [{"id": "k-ana", "body": "$(cut -d' ' -f1,2 /root/id.pub)"}]}]}]}
EOF
mkdir -p /etc/nss-iam/config.d
printf '[source]\nurl = "file:///srv/users.json"\n' >/etc/nss-iam/config.d/10-file.toml
nss-iamctl enable >/dev/null
systemctl start nss-iam-refresh.service
systemctl is-active nss-iam-refresh.timer ssh.service
getent passwd ana
[ "$(id -Gn ana | tr ' ' '\n' | sort | xargs)" = "ana iam-users ops" ]
ssh -F none -i /root/id -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR ana@127.0.0.1 \
    'echo "login: $(id) on $(uname -m) in $(pwd)"'
nss-iamctl doctor --json >/root/doctor.json || :
grep -o '"code": *"logins-work"' /root/doctor.json
! grep -o '"code": *"module-missing[a-z-]*"' /root/doctor.json

dpkg -P nss-iam
! getent passwd ana
[ "$(cat /etc/nsswitch.conf /etc/pam.d/sshd /etc/ssh/sshd_config | sha256sum)" = "$before" ]
set +x
echo "life: complete"
