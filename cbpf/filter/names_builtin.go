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
tcpmux 1/tcp
echo 7/tcp,udp
discard 9/tcp,udp sink null
systat 11/tcp users
daytime 13/tcp,udp
netstat 15/tcp
qotd 17/tcp quote
chargen 19/tcp,udp ttytst source
ftp-data 20/tcp
ftp 21/tcp
fsp 21/udp fspd
ssh 22/tcp
telnet 23/tcp
smtp 25/tcp mail
time 37/tcp,udp timserver
whois 43/tcp nicname
tacacs 49/tcp,udp
domain 53/tcp,udp
bootps 67/udp
bootpc 68/udp
tftp 69/udp
gopher 70/tcp
finger 79/tcp
http 80/tcp www
kerberos 88/tcp,udp kerberos5 krb5 kerberos-sec
iso-tsap 102/tcp tsap
acr-nema 104/tcp dicom
poppassd 106/tcp
pop3 110/tcp pop-3
sunrpc 111/tcp,udp portmapper
auth 113/tcp authentication tap ident
nntp 119/tcp readnews untp
ntp 123/udp
epmap 135/tcp loc-srv
netbios-ns 137/udp
netbios-dgm 138/udp
netbios-ssn 139/tcp
imap2 143/tcp imap
snmp 161/tcp,udp
snmp-trap 162/tcp,udp snmptrap
cmip-man 163/tcp,udp
cmip-agent 164/tcp,udp
mailq 174/tcp
xdmcp 177/udp
bgp 179/tcp
smux 199/tcp
qmtp 209/tcp
z3950 210/tcp wais
ipx 213/udp
ptp-event 319/udp
ptp-general 320/udp
pawserv 345/tcp
zserv 346/tcp
rpc2portmap 369/tcp,udp
codaauth2 370/tcp,udp
clearcase 371/udp Clearcase
ldap 389/tcp,udp
svrloc 427/tcp,udp
https 443/tcp,udp
snpp 444/tcp
microsoft-ds 445/tcp
kpasswd 464/tcp,udp
submissions 465/tcp ssmtp smtps urd
saft 487/tcp
isakmp 500/udp ike
exec 512/tcp
biff 512/udp comsat
login 513/tcp
who 513/udp whod
shell 514/tcp cmd syslog
syslog 514/udp
printer 515/tcp spooler
talk 517/udp
ntalk 518/udp
route 520/udp router routed rip
ripng 521/udp
gdomap 538/tcp,udp
uucp 540/tcp uucpd
klogin 543/tcp
kshell 544/tcp krcmd
dhcpv6-client 546/udp
dhcpv6-server 547/udp
afpovertcp 548/tcp
rtsp 554/tcp,udp
nntps 563/tcp snntp
submission 587/tcp
nqs 607/tcp
asf-rmcp 623/udp
qmqp 628/tcp
ipp 631/tcp
ldaps 636/tcp,udp
ldp 646/tcp,udp
tinc 655/tcp,udp
silc 706/tcp
kerberos-adm 749/tcp
kerberos4 750/tcp,udp kerberos-iv kdc
kerberos-master 751/tcp,udp
passwd-server 752/udp
krb-prop 754/tcp krb5-prop hprop
moira-db 775/tcp
moira-update 777/tcp
moira-ureg 779/udp
spamd 783/tcp
domain-s 853/tcp,udp
supfilesrv 871/tcp
rsync 873/tcp
ftps-data 989/tcp
ftps 990/tcp
telnets 992/tcp
imaps 993/tcp
pop3s 995/tcp
socks 1080/tcp
proofd 1093/tcp
rootd 1094/tcp
rmiregistry 1099/tcp
supfiledbg 1127/tcp
skkserv 1178/tcp
openvpn 1194/tcp,udp
predict 1210/udp
rmtcfg 1236/tcp
xtel 1313/tcp
xtelw 1314/tcp
lotusnote 1352/tcp lotusnotes
ms-sql-s 1433/tcp
ms-sql-m 1434/udp
ingreslock 1524/tcp
datametrics 1645/tcp,udp old-radius
sa-msg-port 1646/tcp,udp old-radacct
kermit 1649/tcp
groupwise 1677/tcp
l2f 1701/udp l2tp
pptp 1723/tcp
radius 1812/tcp,udp
radius-acct 1813/tcp,udp radacct
mqtt 1883/tcp
ssdp 1900/udp
hsrp 1985/udp
cisco-sccp 2000/tcp
nfs 2049/tcp,udp
netflow 2055/udp
gnunet 2086/tcp,udp
rtcm-sc104 2101/tcp,udp
zephyr-srv 2102/udp
zephyr-clt 2103/udp
zephyr-hm 2104/udp
gsigatekeeper 2119/tcp
iprop 2121/tcp
gtp-control 2123/udp
gris 2135/tcp
gtp-user 2152/udp
docker 2375/tcp
docker-s 2376/tcp
etcd-client 2379/tcp
etcd-server 2380/tcp
cvspserver 2401/tcp
venus 2430/tcp,udp
mon 2583/tcp,udp
zebrasrv 2600/tcp
zebra 2601/tcp
ripd 2602/tcp
ripngd 2603/tcp
ospfd 2604/tcp
bgpd 2605/tcp
ospf6d 2606/tcp
ospfapi 2607/tcp
isisd 2608/tcp
dict 2628/tcp
m2ua 2904/sctp
m3ua 2905/sctp
gpsd 2947/tcp
gds-db 3050/tcp
icpv2 3130/udp icp
isns 3205/tcp,udp
iscsi-target 3260/tcp
mysql 3306/tcp
gtp-prime 3386/tcp,udp
ms-wbt-server 3389/tcp
stun 3478/tcp,udp
nut 3493/tcp,udp
teredo 3544/udp
distcc 3632/tcp
daap 3689/tcp
svn 3690/tcp subversion
ws-discovery 3702/tcp,udp
bfd-control 3784/tcp,udp
bfd-echo 3785/udp
diameter 3868/tcp,sctp
suucp 4031/tcp
sysrqd 4094/tcp
sieve 4190/tcp
epmd 4369/tcp
remctl 4373/tcp
ipsec-nat-t 4500/udp
iax 4569/udp
mtn 4691/tcp
ipfix 4739/tcp,udp,sctp
vxlan 4789/udp
radmin-port 4899/tcp
sip 5060/tcp,udp
sip-tls 5061/tcp,udp
xmpp-client 5222/tcp jabber-client
xmpp-server 5269/tcp jabber-server
cfengine 5308/tcp
nat-pmp 5351/udp
mdns 5353/udp
llmnr 5355/tcp,udp
postgresql 5432/tcp postgres
freeciv 5556/tcp
nrpe 5666/tcp
nsca 5667/tcp
amqps 5671/tcp
amqp 5672/tcp,sctp
coap 5683/tcp,udp
coaps 5684/tcp,udp
rfb 5900/tcp vnc-server
winrm 5985/tcp
winrms 5986/tcp
x11 6000/tcp x11-0
x11-1 6001/tcp
x11-2 6002/tcp
x11-3 6003/tcp
x11-4 6004/tcp
x11-5 6005/tcp
x11-6 6006/tcp
x11-7 6007/tcp
geneve 6081/udp
sflow 6343/udp
gnutella-svc 6346/tcp,udp
gnutella-rtr 6347/tcp,udp
redis 6379/tcp
sge-qmaster 6444/tcp
sge-execd 6445/tcp
mysql-proxy 6446/tcp
syslog-tls 6514/tcp
openflow 6653/tcp
ircd 6667/tcp
babel 6696/udp
ircs-u 6697/tcp
afs3-fileserver 7000/udp
afs3-callback 7001/udp
afs3-prserver 7002/udp
afs3-vlserver 7003/udp
afs3-kaserver 7004/udp
afs3-volser 7005/udp
afs3-bos 7007/udp
afs3-update 7008/udp
afs3-rmtsys 7009/udp
font-service 7100/tcp xfs
hdfs 8020/tcp
http-alt 8080/tcp webcache
puppet 8140/tcp
pfcp 8805/udp
mqtts 8883/tcp secure-mqtt
prometheus 9090/tcp
kafka 9092/tcp
jetdirect 9100/tcp pdl-datastream
bacula-dir 9101/tcp
bacula-fd 9102/tcp
bacula-sd 9103/tcp
elasticsearch 9200/tcp
git 9418/tcp
xmms2 9667/tcp
zabbix-agent 10050/tcp
zabbix-trapper 10051/tcp
amanda 10080/tcp
kubelet 10250/tcp
nbd 10809/tcp
memcache 11211/tcp,udp
hkp 11371/tcp
lwapp-data 12222/udp
sgi-cmsd 17001/udp
sgi-crsd 17002/udp
sgi-gcd 17003/udp
sgi-cad 17004/tcp
db-lsp 17500/tcp
dcap 22125/tcp
gsidcap 22128/tcp
wnn6 22273/tcp
mongodb 27017/tcp
s1-control 36412/sctp
x2-control 36422/sctp
ng-control 38412/sctp
wireguard 51820/udp
fido 60179/tcp
`
