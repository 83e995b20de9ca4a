// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.24;

/// Counts, tells of it, and refuses large steps.
contract Counter {
    event Counted(address indexed by, uint256 to);

    error TooMuch(uint256 most);

    uint256 public count;

    constructor(uint256 start) {
        count = start;
    }

    function add(uint256 by) external {
        if (by > 10) revert TooMuch(10);
        count += by;
        emit Counted(msg.sender, count);
    }
}
