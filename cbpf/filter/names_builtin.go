package filter

// Numbers of IANA's registries, in the form of /etc/protocols and, with
// several protocols to a port, of /etc/services. Services are given the
// protocols under which systems commonly list them, because "port http" looks
// at the listed ones only.

const builtinProtocols = `
ip 0 IP
icmp 1 ICMP
igmp 2 IGMP
ggp 3
ipencap 4
st 5
tcp 6 TCP
egp 8
igp 9 igrp
udp 17 UDP
dccp 33
ipv6 41
ipv6-route 43
ipv6-frag 44
rsvp 46
gre 47
esp 50
ah 51
ipv6-icmp 58 icmp6
ipv6-nonxt 59
ipv6-opts 60
eigrp 88
ospf 89
ipip 94
etherip 97
pim 103
ipcomp 108
vrrp 112
carp 112
l2tp 115
isis 124
sctp 132
fc 133
mobility-header 135
udplite 136
mpls-in-ip 137
manet 138
hip 139
shim6 140
wesp 141
rohc 142
ethernet 143
`

const builtinServices = `
http 80/tcp www
https 443/tcp,udp
domain 53/tcp,udp
ssh 22/tcp
`
