# -*- coding: utf-8 -*-
# Copyright the native.windows authors
# GNU General Public License v3.0+ (see LICENSE-GPL or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The documentation of the module. What runs is a program beside this file, started by plugins/action/psexec.py.

from __future__ import (absolute_import, division, print_function)
__metaclass__ = type

DOCUMENTATION = r"""
---
module: psexec
short_description: Run commands on a Windows host over SMB alone
version_added: 0.1.0
author:
  - The native.windows authors (!UNKNOWN)
description:
  - Runs a program on a Windows host from a Linux host, with nothing set up on the Windows host but file sharing.
  - Connects over SMB 2 or 3, copies a small service to the host, lets it run the program, hands back the exit code and
    the output, and removes the service again.
  - It is often the first task for a new Windows host, which prepares it for WinRM or SSH.
  - It takes the place of M(community.windows.psexec), has the same options and return values, and needs no Python
    library. The notes tell where the two differ.
options:
  hostname:
    description:
      - Name or address of the Windows host. An IPv6 address may stand in brackets, and have a zone, C(fe80::1%eth0).
      - It may be left out where the task's connection is one to Windows, such as C(winrm), C(psrp), or C(ssh) with
        C(ansible_shell_type=powershell). Then it is that connection's host.
    type: str
    version_added: 0.1.0
  connection_username:
    description:
      - User to connect as, who must be a member of the host's group Administrators.
      - A user of a domain is written C(user@domain) or C(DOMAIN\user), a user of the host C(HOST\user) or C(.\user).
      - Without O(process_username), the program runs as this user, with a network logon. Such a logon cannot
        authenticate to a third machine.
      - With a password, C(user@domain) connects with Kerberos, and with NTLM where there is no Kerberos to be had, which
        a warning tells. The same holds for C(user) if C(krb5.conf) has a C(default_realm). C(DOMAIN\user), C(HOST\user)
        and C(.\user) connect with NTLM.
      - Leave it out to connect as the default principal of the Kerberos credential cache.
      - Where the task's connection is one to Windows, and O(hostname) is its host, it is that connection's user if it is
        left out.
    type: str
    version_added: 0.1.0
  connection_password:
    description:
      - Password of O(connection_username).
      - Leave it out to connect with a Kerberos ticket that C(kinit) has fetched before. If the program runs longer than
        the ticket lasts, C(kinit) has to be run again meanwhile; with a password that is done by itself.
      - Where the task's connection is one to Windows, and O(hostname) and O(connection_username) are its host and user,
        it is that connection's password if it is left out, unless C(ansible_winrm_kinit_mode=manual).
    type: str
    version_added: 0.1.0
  port:
    description:
      - TCP port of the host's SMB server, between 1 and 65535.
    type: int
    default: 445
    version_added: 0.1.0
  encrypt:
    description:
      - Whether to insist on SMB encryption. If the host cannot encrypt, the task fails.
      - Windows encrypts since Windows 8 and Windows Server 2012.
      - Without encryption, everybody between the two hosts can read the command with its arguments, its input and
        output, and O(process_password), which is scrambled with a key that travels along. All is signed still, so
        that nobody can alter it unnoticed; and O(connection_password) itself never travels.
    type: bool
    default: true
    version_added: 0.1.0
  connection_timeout:
    description:
      - How many seconds to wait for the host in each step until the connection stands; at least 1.
      - If the name has several addresses they share that time, and are tried a quarter of a second apart.
    type: int
    default: 60
    version_added: 0.1.0
  executable:
    description:
      - Program to run. Unless it is a full path, Windows looks for it in its search path.
      - It is the program alone, without quotation marks and without arguments. Variables such as C(%windir%) are not
        replaced. A script needs its interpreter, such as C(powershell.exe) with the arguments C(-File C:\setup.ps1).
      - A program on a share needs O(process_username), as does whatever reads or writes there; without it the process
        cannot authenticate to a third machine.
      - Commands such as C(dir) or C(echo), which are part of C(cmd.exe), need C(cmd.exe) with the arguments C(/c …).
    type: str
    required: true
    version_added: 0.1.0
  arguments:
    description:
      - Arguments of the program as one string, put behind it on the command line as they are.
      - Windows takes 32766 characters for program and arguments together, C(cmd.exe) 8191. What is longer fits into
        O(stdin), or into a file.
    type: str
    version_added: 0.1.0
  working_directory:
    description:
      - Directory of the host in which the program starts.
    type: str
    default: C:\Windows\System32
    version_added: 0.1.0
  asynchronous:
    description:
      - Whether to return as soon as the program has started, which then runs on by itself.
      - The task returns RV(pid) in place of RV(rc), RV(stdout) and RV(stderr), and O(stdin) has no effect.
      - It has a console without a window, unless O(interactive=true).
      - This has nothing to do with Ansible's own C(async), which works with every module.
    type: bool
    default: false
    version_added: 0.1.0
  load_profile:
    description:
      - Whether to load the profile of the user that the program runs as, with his registry and environment.
      - Windows makes one, with its folder, for a user who has none on the host yet. One that cannot be loaded does not
        keep the program from running.
      - It is unloaded when the program has ended, but not with O(asynchronous=true), where nobody waits for the end.
    type: bool
    default: true
    version_added: 0.1.0
  process_username:
    description:
      - User to run the program as, with an interactive logon, which has none of the limits of a network logon.
      - It is written like O(connection_username), and needs O(process_password).
      - V(System), in upper or lower case, is the host's own account LocalSystem, which has no password. So has
        C(NT AUTHORITY\SYSTEM).
      - C(NT AUTHORITY\LocalService) and C(NT AUTHORITY\NetworkService) have none either, and Windows itself has that of a
        managed service account, which is written C(DOMAIN\NAME$). They are logged on as services.
      - Without this option, the program runs as the user of the connection.
    type: str
    version_added: 0.1.0
  process_password:
    description:
      - Password of O(process_username).
      - Required together with it, unless it is an account that needs none.
    type: str
    version_added: 0.1.0
  integrity_level:
    description:
      - Rights of the program where O(process_username) names a user.
      - V(default) are those that the logon gives.
      - V(elevated) are all that the user has as an administrator.
      - V(limited) are those of an ordinary user, even if the user is an administrator.
    type: str
    choices:
      - default
      - elevated
      - limited
    default: default
    version_added: 0.1.0
  interactive:
    description:
      - Whether the program runs in the session O(interactive_session), with windows that are seen there.
      - It runs as the same user as without this option, whoever is logged on in that session. The desktop there
        belongs to the user who is logged on; of others, only V(System) as O(process_username) always has a right to it.
      - The task then returns neither RV(stdout) nor RV(stderr), and O(stdin) has no effect.
    type: bool
    default: false
    version_added: 0.1.0
  interactive_session:
    description:
      - Number of the Windows session in which the windows appear, if O(interactive=true).
      - V(0) is the console, that is, the session in front of the host's screen, if somebody is logged on there.
        Otherwise the program runs in session 0, where nobody sees its windows.
    type: int
    default: 0
    version_added: 0.1.0
  priority:
    description:
      - Priority class of the program. Microsoft describes them under
        U(https://learn.microsoft.com/windows/win32/procthread/scheduling-priorities).
    type: str
    choices:
      - above_normal
      - below_normal
      - high
      - idle
      - normal
      - realtime
    default: normal
    version_added: 0.1.0
  show_ui_on_logon_screen:
    description:
      - Whether the program shows its windows on the logon screen, if O(process_username=System).
    type: bool
    default: false
    version_added: 0.1.0
  process_timeout:
    description:
      - How many seconds the program may run. Then it is ended together with what it has started, and RV(rc) is
        4294967286, which is -10 in 32 bits.
      - With V(0) it may run for ever.
    type: int
    default: 0
    version_added: 0.1.0
  stdin:
    description:
      - Text for the program's standard input, in UTF-8. The input ends behind it, so that a program that reads to the
        end goes on.
      - Bytes that are not UTF-8, as a file may have them, arrive as they are; RV(ignore:invocation) shows U+FFFD for
        them.
      - PowerShell takes a script here for what somebody types, unless it is told to read it as a whole. See the notes.
      - No effect with O(asynchronous=true) or O(interactive=true).
    type: str
    version_added: 0.1.0
attributes:
  action_group:
    description: Takes its defaults from C(group/native.windows.psexec) of C(module_defaults) as well.
    support: full
    membership:
      - native.windows.psexec
  async:
    description: Can run in the background of the host that the task is for, with C(async).
    support: partial
    details: Over a connection to Windows it needs C(delegate_to=localhost).
  check_mode:
    description: Can run in check mode and tell what would change, without changing it.
    support: none
    details: The task is skipped.
  diff_mode:
    description: Can show in diff mode what has changed.
    support: none
  platform:
    description: Operating system of the host that the task is for.
    platforms: Linux
    support: full
    details: The Windows host is the one that O(hostname) names. The task itself is for a Linux host.
notes:
  - Runs on the controller if the task's connection is C(local), by C(delegate_to=localhost) or otherwise, or one to
    Windows, which is not used then. C(become) and C(async) need C(delegate_to=localhost) there.
  - Over any other connection it runs on the host that the task is for. That is a Linux host with glibc 2.17 or later; it
    needs no Python library. On a controller with macOS or Alpine, delegate the task to such a host.
  - In a task with C(delegate_to=localhost) the variable C(ansible_host) is that of the controller unless the inventory gives
    the Windows host one; the examples ask C(hostvars).
  - The Windows host must share files (the service LanmanServer with ADMIN$ and IPC$), and its firewall must let TCP
    port 445 in, as the rule "File and Printer Sharing (SMB-In)" does.
  - A local account other than the built-in Administrator is stripped of its rights by remote UAC. It can connect once
    the host's registry has C(LocalAccountTokenFilterPolicy) (REG_DWORD) = 1 in
    C(HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System).
  - The task waits for the program to end unless O(asynchronous=true). A program that waits for a person waits for ever,
    unless O(process_timeout) is set.
  - "Output is decoded as UTF-8 or UTF-16 if it is that, otherwise in the host's code pages; M(community.windows.psexec)
    takes everything for UTF-8. Where UTF-16 stands beside other text, as behind C(cmd.exe), each is decoded as what it
    is, and a warning says that this had to be guessed."
  - "A program may write in an encoding of its own, which nothing tells. The environment variable
    E(PSEXEC_OUTPUT_ENCODING) names it for a task, C(environment: {PSEXEC_OUTPUT_ENCODING: gbk}): one of the Encoding
    Standard's names, such as C(gbk), C(shift_jis) or C(windows-1252), or the number of a code page, such as C(437) or
    C(cp850)."
  - "Further differences from M(community.windows.psexec): standard input is closed behind O(stdin) and when there is
    none; a time-out ends child processes, too; failures after the service was to be created say RV(ignore:changed);
    failures name their causes and remedies; a lost connection is reported within a minute; numbers out of range, an
    empty O(hostname), O(executable) or O(connection_username) are refused before anything is done."
  - The task's C(timeout) ends the program together with what it has started, and everything is removed from the host,
    within seconds. So does whatever else closes the standard output of the module. C(async) is another matter; its
    tasks run on.
  - "B(What Windows programs do) where standard input is no console, as here, and what to do about it:"
  - "PowerShell with the arguments C(-) or C(-Command -) reads a script on O(stdin) statement by statement, as if somebody
    typed it. C($ErrorActionPreference = 'Stop') does not end it at an error, an C(exit 0) at its end hides every
    failure, a block of several lines without an empty line behind it is dropped in silence with all that follows, and
    with C(-) alone the input is echoed. The examples have a form that reads the script as a whole: it ends at an error
    with RV(ignore:rc) 1, and C(exit 3) arrives."
  - Windows PowerShell decodes its standard input in the OEM code page, and encodes its output in it. The form of the
    examples reads UTF-8. Where a script itself reads its input, put C([Console]::InputEncoding = [Text.Encoding]::UTF8)
    before that; C([Console]::OutputEncoding = [Text.Encoding]::UTF8) at its start lets it write all characters.
  - Windows PowerShell writes its errors as CLIXML, which begins with C(#< CLIXML), if it is given C(-EncodedCommand).
    Give it C(-OutputFormat Text) as well, or take the form of the examples. Progress is silent with
    C($ProgressPreference = 'SilentlyContinue').
  - C(timeout /t 5) refuses to run without a console. C(ping -n 6 127.0.0.1 >nul) waits as long, as does PowerShell's
    C(Start-Sleep 5). With O(asynchronous=true) there is a console.
  - C(choice) and C(set /p) read O(stdin), where the answer has to stand, such as C(y) and a line end. C(choice) says 255
    if there is none. C(pause) does not wait.
  - C(cmd.exe) takes command lines of up to 8191 characters.
  - "B(What Ansible does) on the controller:"
  - C(environment) sets variables of the module on the controller, not of the program on the Windows host. Set these
    there, C(cmd.exe) with C(/c set NAME=value&& program), or in PowerShell C($env:NAME = 'value').
  - The module is a program, which runs where it stands in the collection. With C(become) or C(async), or on another machine
    than the controller, Ansible copies it to C(remote_tmp) and starts it there. If that lies on a file system that is mounted
    C(noexec), the task fails with "Permission denied" and exit code 126. Let the variable C(ansible_remote_tmp) name a folder
    elsewhere, or C(ANSIBLE_REMOTE_TMP) in Ansible's own environment; with C(become) to another user than root also
    C(ansible_system_tmpdirs).
  - With C(-vvv) the task returns RV(trace).
  - The environment variable E(PSEXEC_FORBID_NTLM) forbids NTLM if it is V(1). Without it, whoever keeps the controller
    from the KDC can have the module use NTLM in the place of Kerberos.
  - The environment variable E(PSEXEC_SERVICE_PRINCIPAL), such as V(cifs/server.domain.local), names the service principal
    of a host whose O(hostname) is an address, an alias or the end of a tunnel. For the host of a task's connection to
    Windows, C(ansible_winrm_kerberos_hostname_override) and C(ansible_psrp_negotiate_hostname_override) do so as well.
  - Security software may hold the service up, or take its file away. The message then says which file to allow,
    C(native.windows.psexec-*.exe) in the Windows folder, and its SHA-256, which C(cargo xtask build) prints as well.
  - The environment variable E(PSEXEC_SERVICE_EXE) can name a file that is uploaded in place of the service that the
    module brings along, and that has to speak its protocol, such as C(PAExec.exe).
    It gets PAExec's names, by which any user of the host can foresee its pipes, make them first, and be sent what the
    task says, O(process_password) included.
seealso:
  - module: ansible.builtin.raw
  - module: ansible.windows.win_command
  - module: ansible.windows.win_shell
  - module: community.windows.psexec
  - module: community.windows.win_psexec
"""

EXAMPLES = r"""
---
- name: Run a command of cmd.exe
  native.windows.psexec:
    hostname: server
    connection_username: Administrator
    connection_password: '{{ windows_password }}'
    executable: cmd.exe
    arguments: /c echo Hello World
  delegate_to: localhost

- name: Ask PowerShell, as a user of a domain
  native.windows.psexec:
    hostname: server.domain.local
    connection_username: user@DOMAIN.LOCAL
    connection_password: '{{ windows_password }}'
    executable: powershell.exe
    arguments: -NoProfile -Command "Get-HotFix | Select-Object -Last 1"
  delegate_to: localhost
  register: hotfix
  changed_when: false

- name: Prepare a new host for WinRM with a script on standard input
  native.windows.psexec:
    hostname: '{{ hostvars[inventory_hostname].ansible_host | default(inventory_hostname) }}'
    connection_username: '{{ ansible_user }}'
    connection_password: '{{ ansible_password }}'
    executable: powershell.exe
    # One block, which ends at an error: with "-Command -" PowerShell would read the script as if somebody typed it.
    arguments: >-
      -NoProfile -NonInteractive -Command "& ([scriptblock]::Create((New-Object
      IO.StreamReader([Console]::OpenStandardInput(), [Text.Encoding]::UTF8)).ReadToEnd()))"
    stdin: |
      $ErrorActionPreference = 'Stop'
      Enable-PSRemoting -Force -SkipNetworkProfileCheck
  delegate_to: localhost

- name: Run a program as another user, with all of the rights the user has
  native.windows.psexec:
    hostname: server
    connection_username: Administrator
    connection_password: '{{ windows_password }}'
    executable: whoami.exe
    arguments: /all
    process_username: DOMAIN\deploy
    process_password: '{{ deploy_password }}'
    integrity_level: elevated
  delegate_to: localhost

- name: Run a program as LocalSystem and tolerate two exit codes
  native.windows.psexec:
    hostname: server
    connection_username: Administrator
    connection_password: '{{ windows_password }}'
    executable: msiexec.exe
    arguments: /i C:\Temp\package.msi /qn
    process_username: System
    process_timeout: 900
  delegate_to: localhost
  register: install
  failed_when: install.rc | default(-1) not in [0, 3010]

- name: Start a program that outlives the task
  native.windows.psexec:
    hostname: server
    connection_username: Administrator
    connection_password: '{{ windows_password }}'
    executable: cmd.exe
    arguments: /c rmdir /s /q C:\Temp\old
    asynchronous: true
  delegate_to: localhost

- name: Connect with a Kerberos ticket
  native.windows.psexec:
    hostname: server.domain.local
    connection_username: user@DOMAIN.LOCAL
    executable: hostname.exe
  delegate_to: localhost

- name: Reach a host that cannot encrypt, such as Windows 7 or Windows Server 2008 R2
  native.windows.psexec:
    hostname: windows-7
    connection_username: Administrator
    connection_password: '{{ windows_password }}'
    encrypt: false
    executable: cmd.exe
    arguments: /c ver
  delegate_to: localhost
"""

RETURN = r"""
---
rc:
  description:
    - Exit code of the program, an unsigned number of 32 bits. Ansible takes the task for failed if it is not 0.
  returned: the program has ended
  type: int
  sample: 0
stdout:
  description:
    - What the program wrote to its standard output.
  returned: the program has ended and O(interactive=false)
  type: str
  sample: "Hello World\r\n"
stderr:
  description:
    - What the program wrote to its standard error.
  returned: the program has ended and O(interactive=false)
  type: str
  sample: "'foo' is not recognized as an internal or external command\r\n"
pid:
  description:
    - Process ID of the program on the host.
  returned: the program has started and O(asynchronous=true)
  type: int
  sample: 719
msg:
  description:
    - What went wrong, and what can be done about it.
  returned: the module failed
  type: str
  sample: >-
    Received error when running remote process: Received exception from remote PAExec service: Failed to start
    "invalid.exe". The system cannot find the file specified. [Err=0x2, 2]
trace:
  description:
    - Steps of the run with the time since its start, and what was negotiated.
  returned: with C(-vvv), once a connection was tried
  type: list
  elements: str
  sample:
    - 0.012 s connected
"""
