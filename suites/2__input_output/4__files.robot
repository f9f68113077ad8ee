*** Settings ***
Documentation    Further files lie beside the program, under their names (Piston v2 contract, section 1).

Resource         ../../resources/execution.resource

Test Tags        phase-1    contract

Name             Files


*** Test Cases ***
Further Files Lie Beside The Program
    Capability Should Be Honoured    files

Files May Import One Another
    Requires Capability    files
    Add File    first_helper.py    import second_helper\nNAME = second_helper.NAME + "!"\n
    Add File    second_helper.py    NAME = "${NONCE}"\n
    Execute Python    import first_helper; print(first_helper.NAME)    file_name=main.py
    Stdout Should Be    ${NONCE}!\n    because=files of one request may import one another

Files May Lie In Sub-Folders
    Requires Capability    files
    Add File    pack/__init__.py    ${EMPTY}
    Add File    pack/deep/data.txt    ${NONCE}
    Add File    pack/reader.py    def read(): return open("pack/deep/data.txt").read()\n
    Execute Python    from pack import reader; print(reader.read())    file_name=main.py
    Stdout Should Be    ${NONCE}\n    because=a file name may have folders in it

File Names May Begin With A Dot
    Requires Capability    files
    Add File    .config/.data    ${NONCE}
    Execute Python    print(open(".config/.data").read())    file_name=main.py
    Stdout Should Be    ${NONCE}\n    because=a file name may begin with a dot, and its folder's, too

Base64 Content Is Decoded
    Capability Should Be Honoured    base64

Any Bytes Travel As Base64
    Requires Capability    base64
    Add File Of Every Byte    data.bin    encoding=base64
    Execute Program File    check_every_byte.py
    Stdout Should Be    ${NONCE} every byte is there\n    because=a base64 file holds the bytes that were encoded

Hex Content Is Decoded
    Capability Should Be Honoured    hex

First File Is The Program
    Requires Capability    files
    Add File    other.py    print("the second file ran")\n
    Execute Python    print("${NONCE}")    file_name=first.py
    Stdout Should Be    ${NONCE}\n    because=the first file is the program
